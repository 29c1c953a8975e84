"""The two commands and what stands round them: set-up, checks, the sample clinic, the list of variables."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from mesoclinic.accounts.models import Clinic, User
from mesoclinic.audit import trail
from mesoclinic.core.errors import InvalidInput, InvalidTransition
from mesoclinic.messaging.models import Message, MessageState
from mesoclinic.staff.opening import open_clinic
from patients.models import IntakeStatus, Patient
from protocols.models import FormularyVersion, Plan
from sessions.models import Appointment, TreatmentSession
from sessions.queries import visits_on
from sessions.sample import story as sample
from tests import factories

ROOT = Path(settings.BASE_DIR)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / f"scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------ variables, commands, containers

READ_ELSEWHERE = {"HOST", "PORT", "POSTGRES_PASSWORD", "MESOCLINIC_DIRECTOR_PASSWORD"}  # make run, compose, open_clinic


def variables_that_settings_read() -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((ROOT / "mesoclinic/settings.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and re.fullmatch(r"env\.\w+", ast.unparse(node.func)):
            first = node.args[0]
            assert isinstance(first, ast.Constant)
            found.add(str(first.value))
    return found


def listed_variables() -> set[str]:
    return set(
        re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_env_example_lists_every_variable() -> None:
    assert listed_variables() == variables_that_settings_read() | READ_ELSEWHERE


def test_readme_explains_every_variable() -> None:
    guide = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs/running.md").read_text(encoding="utf-8")
    assert sorted(name for name in listed_variables() if f"`{name}`" not in guide) == []


def test_compose_names_what_the_settings_know() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert sorted(compose["services"]) == ["beat", "db", "prepare", "redis", "web", "worker"]
    for name, service in compose["services"].items():
        assert name == "prepare" or "healthcheck" in service, name
        if service["image"] == "mesoclinic":
            assert set(service["environment"]) <= variables_that_settings_read()


def test_docs_name_only_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (path.name, target)
        for path in documents
        for target in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    assert {pair for pair in named if pair[1] not in targets} == set()


def test_docs_link_only_to_files_that_exist() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{path.name}: {link}"
        for path in documents
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in link and not (path.parent / link).exists()
    ]
    assert broken == []


# ------------------------------------------------------------------ set-up and checks


def test_system_packages_are_read_by_group() -> None:
    bootstrap = script("bootstrap")
    assert "libpango-1.0-0" in bootstrap.listed_packages(["run"])
    assert bootstrap.listed_packages(["browser"]) == ["chromium"]
    rows = [line.split() for line in (ROOT / "apt.txt").read_text().splitlines() if not line.startswith("#")]
    assert {row[1] for row in rows if row} == {"run", "han", "test", "services", "browser"}


def test_stamp_is_stale_after_its_input_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = script("bootstrap")
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps")
    lock = tmp_path / "lock"
    lock.write_text("one")
    stamp = bootstrap.Stamp("packages", lock)
    assert not stamp.fresh()
    stamp.set()
    assert stamp.fresh()
    lock.write_text("two")
    assert not stamp.fresh()


def test_no_file_names_a_registry() -> None:
    assert script("check").no_registry_address() == ""


def test_registry_check_finds_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = script("check")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "lock").write_text("resolved: https://packages." + "npm" + "js.org/x")
    monkeypatch.setattr(check, "tracked_files", lambda: [tmp_path / "lock"])
    assert check.no_registry_address() != ""


def test_locks_are_complete_and_hashed() -> None:
    check = script("check")
    assert check.locks_carry_hashes() == ""
    assert check.locks_are_current() == ""


def test_hash_check_finds_a_bare_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = script("check")
    for name in ("requirements-dev.txt", "scripts/uv.txt", "scripts/node.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one==1 \\\n    --hash=sha256:aa\n")
    (tmp_path / "requirements.txt").write_text("one==1 \\\n    --hash=sha256:aa\ntwo==2\n")
    (tmp_path / "package-lock.json").write_text('{"packages": {"": {}, "a": {"integrity": "sha512-x"}, "b": {}}}')
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.locks_carry_hashes().splitlines() == [
        "requirements.txt: two==2 has no hash",
        "package-lock.json: b has no integrity hash",
    ]


# ------------------------------------------------------------------ opening a real clinic

OPENING: dict[str, str] = {
    "name": "Hautpraxis am Wall",
    "currency": "eur",
    "site": "Bremen",
    "time_zone": "Europe/Berlin",
    "street": "Am Wall 1",
    "city": "28195 Bremen",
    "phone": "+49 421 000000",
    "given_name": "Iris",
    "family_name": "Behrens",
    "email": "Iris@Praxis.example",
    "password": "a-long-and-odd-phrase",
}


def test_open_clinic_makes_a_director_of_one_site(db: None) -> None:
    director = open_clinic(**OPENING)
    assert (director.email, [str(role) for role in director.roles]) == ("iris@praxis.example", ["director"])
    assert [str(site) for site in director.sites.all()] == ["Bremen"]
    clinic = Clinic.objects.get()
    assert (clinic.currency, clinic.is_sample) == ("EUR", False)


def test_open_clinic_happens_once(db: None) -> None:
    open_clinic(**OPENING)
    with pytest.raises(InvalidTransition):
        open_clinic(**OPENING)


@pytest.mark.parametrize(
    ("field", "value"),
    [("password", "short"), ("time_zone", "Mars/Olympus"), ("email", "nobody"), ("site", "")],
)
def test_open_clinic_refuses_what_cannot_be_used(db: None, field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        open_clinic(**{**OPENING, field: value})
    assert refusal.value.field == ("name" if field == "site" else field)
    assert not Clinic.objects.exists()


def test_open_clinic_wants_one_name_of_its_director_at_least(db: None) -> None:
    with pytest.raises(InvalidInput) as refusal:
        open_clinic(**{**OPENING, "given_name": "", "family_name": ""})
    assert refusal.value.field in ("given_name", "family_name")
    assert not Clinic.objects.exists()
    assert open_clinic(**{**OPENING, "given_name": ""}).family_name == OPENING["family_name"]


# ------------------------------------------------------------------ the sample clinic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the product's clock to one instant of UTC."""

    def set_to(text: str) -> None:
        instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda: instant)

    return set_to


def told() -> list[Any]:
    """The sample clinic in words, without what is random on purpose (public ids, Message-IDs)."""
    return [
        list(Patient.objects.order_by("number").values_list("number", "family_name", "birth_date", "created_at")),
        list(Plan.objects.order_by("pk").values_list("patient__family_name", "status", "result", "signed_at")),
        list(
            Appointment.objects.order_by("pk").values_list("patient__family_name", "starts_at", "room__name", "status")
        ),
        list(Message.objects.order_by("pk").values_list("purpose", "state", "due_at", "sent_at")),
    ]


def test_sample_holds_the_twelve_and_a_chain_that_is_whole(db: None, clock: Any) -> None:
    clock("2026-11-22 07:00")
    call_command("load_sample", stdout=io.StringIO())
    assert Patient.objects.count() == 12
    assert {p.intakes.get().status for p in Patient.objects.all()} == {IntakeStatus.SUBMITTED}
    formulary = FormularyVersion.objects.get()
    assert (formulary.status, formulary.is_sample, formulary.published_by) == (
        "published",
        True,
        User.objects.get(given_name="Dora"),
    )
    assert TreatmentSession.objects.count() == 3
    assert trail.first_broken() is None


def test_sample_messages_of_the_past_were_sent(db: None) -> None:
    call_command("load_sample", stdout=io.StringIO())
    due = Message.objects.filter(due_at__lte=timezone.now())
    assert set(due.exclude(purpose="unbooked").values_list("state", flat=True)) == {MessageState.SENT}
    assert not due.filter(state__in=[MessageState.QUEUED, MessageState.HELD, MessageState.FAILED]).exists()
    assert Message.objects.filter(state=MessageState.QUEUED, due_at__gt=timezone.now()).exists()


@pytest.mark.parametrize(
    "now",
    ["2026-11-22 07:00", "2026-03-29 21:55", "2027-01-01 00:30", "2028-02-29 12:00", "2026-10-25 23:10"],
    ids=["Sunday morning", "clocks go forward, late", "New Year's night", "leap day", "clocks go back, late"],
)
def test_sample_fills_today_on_any_day(db: None, clock: Any, now: str) -> None:
    clock(now)
    sample.load()
    lena = User.objects.get(given_name="Lena")
    site = lena.sites.get()
    today = timezone.now().astimezone(site.tz).date()
    visits = visits_on(today, site=site, user=lena)
    assert len({visit.patient for visit in visits}) == 4
    assert not [visit for visit in visits if visit.status == "booked" and visit.ends_at < timezone.now()]


def test_sample_is_the_same_each_time(transactional_db: None, clock: Any) -> None:
    clock("2026-11-22 07:00")
    sample.load()
    first = told()
    call_command("flush", interactive=False, verbosity=0)
    sample.load()
    assert told() == first


def test_sample_is_loaded_once(db: None) -> None:
    call_command("load_sample", stdout=io.StringIO())
    out = io.StringIO()
    call_command("load_sample", stdout=out)
    assert "already" in out.getvalue()
    assert Patient.objects.count() == 12


def test_sample_stays_out_of_a_real_clinic(db: None) -> None:
    factories.clinic()
    with pytest.raises(CommandError, match="own data"):
        call_command("load_sample")
    call_command("load_sample", if_empty=True)
    assert not Patient.objects.exists()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Refuse a session inside the interval\n\nBecause.", ""),
        ("x" * 72, ""),
        ("x" * 73, "The subject has 73 characters"),
        ("Refuse a session.", "ends with a full stop"),
        ("fix: refuse a session", "without a prefix"),
        ("", "no subject"),
    ],
)
def test_commit_subject_is_one_short_sentence(message: str, said: str) -> None:
    found = script("commit_subject").fault(message)
    assert said in found if said else found == ""


def test_every_page_of_the_docs_stands_in_the_site() -> None:
    """`make docs` fails for a page outside every list; here without building it."""
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    lists = set(re.findall(r"^([a-z-]+(?:/\*)?)$", index, re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    missing = [str(page) for page in pages if str(page) != "index" and not {str(page), f"{page.parent}/*"} & lists]
    assert missing == []
