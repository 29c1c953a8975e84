"""Drawing: what mixtures come to by the rule of dosing, and whether each is worth a syringe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from protocols.engine.verify.context import Context, fraction
from protocols.engine.verify.mixing import acidity_suits, fewest_of, may_be_one, osmolality_supplied, pairs_of
from protocols.engine.verify.volumes import bounds_of, least_of, usual_of


def is_worth_drawing(context: Context, keys: Sequence[str]) -> bool:
    """Whether there is a way, with the fewest mixtures, in which each serves enough of the points."""
    if context.limits is None or len(keys) < 2:
        return True
    share = fraction(context.limits["smallest_syringe"]["min_share"])
    count = fewest_of(context, keys)
    for groups in ways_of(context, sorted(keys), [], count):
        volumes = volumes_of(context, groups)
        if min(volumes) >= share * sum(volumes):
            return True
    return False


def ways_of(context: Context, rest: Sequence[str], groups: list[list[str]], count: int) -> Iterator[list[list[str]]]:
    if not rest:
        if len(groups) == count:
            yield groups
        return
    for number, group in enumerate([*groups, []]):
        grown = [*group, rest[0]]
        if number < count and may_be_one(context, grown):
            yield from ways_of(context, rest[1:], [*groups[:number], grown, *groups[number + 1 :]], count)


def volumes_of(context: Context, groups: Sequence[Sequence[str]]) -> list[Fraction]:
    """What mixtures of these come to by the rule of dosing: all lowerings, or all rises, in their order at once."""
    keys = sorted(key for group in groups for key in group)
    drawn, step = context.target // context.step * context.step, context.step
    volume = {key: usual_of(context, key) for key in keys}
    whole = sum(volume.values(), Fraction(0))
    if whole > drawn:
        lowered = []
        for key in keys:
            usual, least = volume[key], max(least_of(context, key), step)
            lowered += [(-(usual - step * k) / usual, key) for k in range(int((usual - least) / step))]
        for _, key in sorted(lowered)[: int((whole - drawn) / step)]:
            volume[key] -= step
    else:
        raise_volumes(context, volume, groups, drawn)
    thinner = topping_up(context)
    room = [room_for(context, thinner, group, volume) for group in groups]
    short = drawn - sum(volume.values(), Fraction(0))
    poured = min(most_diluent(context, thinner, room), max(short, Fraction(0)))
    total = sum(volume.values(), Fraction(0)) + poured
    own = [sum((volume[key] for key in group), Fraction(0)) for group in groups]
    shares = shared_out(context, poured, room)
    needs = [
        min(each, needed_diluent(context, thinner, group, volume, total))
        for each, group in zip(room, groups, strict=True)
    ]
    if any(share < need for share, need in zip(shares, needs, strict=True)):
        first = needs if sum(needs) <= poured else shared_out(context, poured, needs)
        left = [a - b for a, b in zip(room, first, strict=True)]
        more = shared_out(context, poured - sum(first, Fraction(0)), left)
        shares = [a + b for a, b in zip(first, more, strict=True)]
    return [a + b for a, b in zip(own, shares, strict=True)]


def raise_volumes(
    context: Context, volume: dict[str, Fraction], groups: Sequence[Sequence[str]], drawn: Fraction
) -> None:
    thinner, step = topping_up(context), context.step
    rises = []
    for key, usual in volume.items():
        most = bounds_of(context, key)[1] // step * step
        rises += [(step * k / (most - usual), key) for k in range(1, int((most - usual) / step) + 1)]
    unit = fraction(context.course["cost_model"]["ingredient_unit_value"])
    price = {key: unit * fraction(context.things[key]["relative_cost_per_ml"]) for key in volume}
    budget = context.policy.ingredient_budget
    closed = set()
    for _, key in sorted(rises):
        room = [room_for(context, thinner, group, volume) for group in groups]
        if sum(volume.values(), Fraction(0)) + most_diluent(context, thinner, room) >= drawn:
            return
        spent = sum((price[each] * amount for each, amount in volume.items()), Fraction(0))
        if budget is not None and spent + price[key] * step > fraction(budget):
            closed.add(key)
        if key not in closed:
            volume[key] += step


def topping_up(context: Context) -> str | None:
    """The diluent that tops up: the first that may be given and can be drawn."""
    for key in context.mixing["top_up_diluents"]:
        most = bounds_of(context, key)[1] // context.step * context.step
        fits = most >= max(context.step, least_of(context, key)) and least_of(context, key) <= context.target
        refused = key in context.excluded or key in context.policy.avoid
        if context.things[key]["regulatory"]["prescription_only"] and not context.policy.allow_prescription:
            refused = True
        if key in context.active and fits and not refused:
            return str(key)
    return None


def room_for(context: Context, thinner: str | None, group: Sequence[str], volume: Mapping[str, Fraction]) -> Fraction:
    """How much of the diluent a mixture could take."""
    if thinner is None or not all(
        acidity_suits(context, [key, thinner])
        and all(pair["severity"] == "use_immediately" for pair in pairs_of(context, key, thinner))
        for key in group
    ):
        return Fraction(0)
    share = fraction(context.mixing["max_diluent_share_of_syringe"])
    own = sum((volume[key] for key in group), Fraction(0))
    return own * share / (1 - share) // context.step * context.step


def most_diluent(context: Context, thinner: str | None, room: Sequence[Fraction]) -> Fraction:
    if thinner is None:
        return Fraction(0)
    return min(sum(room, Fraction(0)), bounds_of(context, thinner)[1] // context.step * context.step)


def needed_diluent(
    context: Context, thinner: str | None, group: Sequence[str], volume: Mapping[str, Fraction], total: Fraction
) -> Fraction:
    """The diluent without which a mixture is too small or too concentrated."""
    if context.limits is None or thinner is None:
        return Fraction(0)
    step, own = context.step, sum((volume[key] for key in group), Fraction(0))
    least = fraction(context.limits["smallest_syringe"]["min_share"]) * total
    needed = max(Fraction(0), -(-least // step) * step - own)
    highest, thin = fraction(context.limits["osmolality"]["max"]), osmolality_supplied(context, thinner)
    strengths = [(volume[key], osmolality_supplied(context, key)) for key in group]
    if thin is None or thin >= highest or any(strength is None for _, strength in strengths):
        return needed
    excess = sum((amount * (strength - highest) for amount, strength in strengths if strength is not None))
    return max(needed, -(-excess / (highest - thin) // step) * step)


def shared_out(context: Context, amount: Fraction, room: Sequence[Fraction]) -> list[Fraction]:
    """An amount in whole steps, in proportion to the rooms: the largest remainders get the steps left over."""
    whole, step = sum(room, Fraction(0)), context.step
    if amount <= 0 or whole == 0:
        return [Fraction(0) for _ in room]
    exact = [amount * each / whole for each in room]
    given = [each // step * step for each in exact]
    left = int((amount - sum(given, Fraction(0))) / step)
    order = sorted(range(len(room)), key=lambda place: (given[place] - exact[place], place))
    for place in order[:left]:
        given[place] += step
    return given
