from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import InvalidInput, InvalidTransition, NotAllowed
from mesoclinic.messaging.actions import cancel_messages, retry_message, undo_message
from mesoclinic.messaging.models import TRANSITIONS, Message, MessageState
from mesoclinic.messaging.renewal import readdress_sample
from mesoclinic.messaging.sending import delivery
from tests import factories

Queue = Callable[..., Message]


def test_queue_message_twice_is_one_row(queue: Queue) -> None:
    subject_id = uuid.uuid4()

    first = queue(subject_id=subject_id)
    again = queue(subject_id=subject_id, text="Something else")
    anew = queue(subject_id=subject_id, version=2)

    assert again.pk == first.pk
    assert anew.pk != first.pk
    assert Message.objects.count() == 2
    assert Message.objects.get(pk=first.pk).text == "Dear Teodor, see you soon."
    assert first.message_id != anew.message_id


def test_queue_message_held_leaves_after_the_hold(queue: Queue, settings: Settings) -> None:
    settings.MESSAGE_HOLD = timedelta(minutes=3)
    before = timezone.now()

    held = queue(hold=True)
    later = queue(hold=True, due_at=before + timedelta(days=2))

    assert held.state == MessageState.HELD
    assert before + timedelta(minutes=3) <= held.due_at <= timezone.now() + timedelta(minutes=3)
    assert later.due_at == before + timedelta(days=2)


def test_queue_message_to_no_address_is_refused_beside_the_field(queue: Queue) -> None:
    with pytest.raises(InvalidInput) as refusal:
        queue(to_address="teodor at example.org")

    assert refusal.value.field == "email"
    assert Message.objects.count() == 0


def test_queue_message_keeps_a_line_break_out_of_its_headers(queue: Queue) -> None:
    message = queue(subject="Your\r\nBcc: all@example.org", headers={"List-Unsubscribe": "<https://a>\r\nX: y"})

    assert message.subject == "Your Bcc: all@example.org"
    assert message.headers == {"List-Unsubscribe": "<https://a> X: y"}


def test_queue_message_may_not_replace_our_own_headers(queue: Queue) -> None:
    with pytest.raises(ValueError, match="Message-Id"):
        queue(headers={"Message-Id": "<mine@example.org>"})


def test_queue_message_is_written_down(queue: Queue, cleo: User) -> None:
    message = queue()

    event = AuditEvent.objects.get()
    assert (event.action, event.actor_id, event.target_id, event.patient_id) == (
        "message.queued",
        cleo.public_id,
        message.public_id,
        message.person_id,
    )


def test_undo_message_while_held(queue: Queue, cleo: User) -> None:
    message = undo_message(message=queue(hold=True), by=cleo)

    assert message.state == MessageState.CANCELLED
    assert delivery.deliver_due()["sent"] == 0


def test_undo_message_that_left_is_refused(queue: Queue, cleo: User) -> None:
    message = queue(hold=True, due_at=timezone.now())
    Message.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    delivery.deliver_due()

    with pytest.raises(InvalidTransition, match="left a moment ago"):
        undo_message(message=message, by=cleo)  # the page was loaded while it was held
    assert Message.objects.get().state == MessageState.SENT


def test_undo_message_without_the_permission_is_refused(queue: Queue, cleo: User) -> None:
    nobody = factories.user(given_name="Nobody", roles=[])

    with pytest.raises(NotAllowed):
        undo_message(message=queue(hold=True), by=nobody)


def test_cancel_messages_stops_what_has_not_left(queue: Queue, cleo: User) -> None:
    subject_id = uuid.uuid4()
    made = {
        state: queue(subject_id=subject_id, purpose=f"p_{state}")
        for state in ("held", "queued", "sending", "sent", "failed", "expired")
    }
    now = timezone.now()
    for state, message in made.items():
        fields: dict[str, object] = {"state": state}
        if state == "sent":
            fields["sent_at"] = now
        if state == "sending":
            fields |= {"lease": uuid.uuid4(), "leased_until": now}
        Message.objects.filter(pk=message.pk).update(**fields)
    other = queue()

    count = cancel_messages(subject_id=subject_id, by=cleo)

    states = dict(Message.objects.values_list("purpose", "state"))
    assert count == 4
    assert states == {
        "p_held": "cancelled",
        "p_queued": "cancelled",
        "p_sending": "cancelled",
        "p_sent": "sent",
        "p_failed": "cancelled",
        "p_expired": "expired",
        other.purpose: "queued",
    }


def test_cancel_messages_of_chosen_purposes_leaves_the_others(queue: Queue, cleo: User) -> None:
    subject_id = uuid.uuid4()
    queue(subject_id=subject_id, purpose="booking")
    queue(subject_id=subject_id, purpose="reminder_24h")

    assert cancel_messages(subject_id=subject_id, purposes=["reminder_24h"], by=cleo) == 1
    assert cancel_messages(subject_id=subject_id, purposes=["reminder_24h"], by=cleo) == 0
    assert Message.objects.get(purpose="booking").state == MessageState.QUEUED


def test_retry_message_sends_a_failed_one_again(queue: Queue, cleo: User) -> None:
    message = queue()
    Message.objects.update(state="failed", failures=6, attempts=6, last_error="550 no such person")
    message.refresh_from_db()
    before = message.message_id

    retry_message(message=message, by=cleo)
    delivery.deliver_due()

    message.refresh_from_db()
    assert (message.state, message.message_id, message.attempts) == ("sent", before, 1)


def test_retry_message_about_a_time_that_has_passed_is_refused(queue: Queue, cleo: User) -> None:
    message = queue(useful_until=timezone.now() - timedelta(minutes=1))
    Message.objects.update(state="failed")
    message.refresh_from_db()

    with pytest.raises(InvalidTransition, match="too late"):
        retry_message(message=message, by=cleo)


@pytest.mark.parametrize(("action", "target"), [(undo_message, "cancelled"), (retry_message, "queued")])
@pytest.mark.parametrize("state", list(MessageState))
def test_person_changes_a_state_only_along_the_table(
    queue: Queue, cleo: User, action: Callable[..., Message], target: str, state: MessageState
) -> None:
    message = queue()
    fields: dict[str, object] = {"state": state}
    if state in ("sent", "bounced"):
        fields["sent_at"] = timezone.now()
    if state == "sending":
        fields |= {"lease": uuid.uuid4(), "leased_until": timezone.now()}
    Message.objects.update(**fields)
    message.refresh_from_db()
    may = {(undo_message, "held"), (retry_message, "failed")}

    if (action, state.value) in may:
        assert action(message=message, by=cleo).state == target
        assert MessageState(target) in TRANSITIONS[state]
    else:
        with pytest.raises(InvalidTransition):
            action(message=message, by=cleo)
        assert Message.objects.get().state == state


def test_transitions_name_every_state_and_end_somewhere() -> None:
    assert set(TRANSITIONS) == set(MessageState)
    reachable = set(itertools.chain.from_iterable(TRANSITIONS.values()))
    assert set(MessageState) - reachable == {MessageState.HELD}


@pytest.mark.parametrize("is_sample", [True, False])
def test_links_of_a_sample_clinic_follow_the_address_it_is_served_at(queue: Queue, is_sample: bool) -> None:
    Clinic.objects.update(is_sample=is_sample)
    link = "http://127.0.0.1:8000/a/token/"
    message = queue(
        text=f"See {link}", html=f'<a href="{link}">', attachments=[{"name": "a.ics", "type": "x", "text": link}]
    )

    changed = readdress_sample(address="http://127.0.0.1:8123", by=None)
    again = readdress_sample(address="http://127.0.0.1:8123", by=None)

    message.refresh_from_db()
    wanted = "http://127.0.0.1:8123/a/token/" if is_sample else link
    assert (changed, again) == (int(is_sample), 0)
    assert message.text == f"See {wanted}"
    assert message.html == f'<a href="{wanted}">'
    assert message.attachments[0]["text"] == wanted
