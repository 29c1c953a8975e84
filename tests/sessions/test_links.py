"""Closing the links of a patient: those that left, by whom may, on the record, and only these."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mesoclinic.audit.models import AuditEvent
from mesoclinic.core.errors import NotAllowed
from mesoclinic.messaging.models import Message
from sessions.mail.kinds import CATEGORY, KIND_LABELS
from sessions.mail.letters import KINDS
from sessions.mail.links import revoke_links, token_of
from sessions.models.followups import AnswerLink


def send(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(state="sent", sent_at=timezone.now())


def link_of(message: Message) -> AnswerLink:
    return AnswerLink.objects.get(purpose=message.purpose, subject_id=message.subject_id, version=message.version)


def opens(link: AnswerLink) -> int:
    return Client().get(f"/a/{token_of(link)}/").status_code


def test_links_that_left_are_closed_and_those_of_waiting_mails_still_open(course, teodor, cleo) -> None:
    booking = Message.objects.get(purpose="booking")
    tried, waiting = Message.objects.filter(purpose="reminder_7d")[:2]
    send(booking)
    Message.objects.filter(pk=tried.pk).update(attempts=1)  # the server may have had it
    seen = f"/a/{token_of(link_of(tried))}/"
    assert revoke_links(patient=teodor, by=cleo) == 2

    assert [opens(link_of(message)) for message in (booking, waiting)] == [404, 200]
    assert (Client().get(seen).status_code, opens(link_of(tried))) == (404, 200)  # its next try carries another address
    event = AuditEvent.objects.filter(action="links.revoked").get()
    assert (event.actor_id, event.details["count"]) == (cleo.public_id, 2)
    assert revoke_links(patient=teodor, by=cleo) == 0  # twice is once
    assert AuditEvent.objects.filter(action="links.revoked").count() == 1


def test_only_who_sees_the_patient_closes_links(course, teodor, dan) -> None:
    send(Message.objects.get(purpose="booking"))

    with pytest.raises(NotAllowed):
        revoke_links(patient=teodor, by=dan)
    assert not AnswerLink.objects.filter(revoked_at__isnull=False).exists()


def test_page_says_which_links_work_and_closes_them(course, teodor, cleo, sign_in) -> None:
    send(Message.objects.get(purpose="booking"))
    client = sign_in(cleo)
    url = reverse("inbox:links", args=[teodor.public_id])
    page = client.get(url).content.decode()
    assert "Close 1 link" in page and "Confirmation" in page and "Its mail has not left" in page
    done = client.post(reverse("inbox:links_close", args=[teodor.public_id]), follow=True)

    assert done.redirect_chain == [(url, 302)]
    after = done.content.decode()
    assert "1 link was closed." in after and "Close 1 link" not in after
    assert AuditEvent.objects.filter(action="links.viewed").count() == 2


def test_page_of_another_sites_patient_is_not_there(course, teodor, dan, sign_in) -> None:
    client = sign_in(dan)

    assert client.get(reverse("inbox:links", args=[teodor.public_id])).status_code == 404
    assert client.post(reverse("inbox:links_close", args=[teodor.public_id])).status_code == 404


@pytest.mark.parametrize("name", ["sessions:patient", "messaging:detail"])
def test_page_is_reached_from_the_record_and_from_a_message(name: str, course, teodor, cleo, sign_in) -> None:
    about = teodor.public_id if name == "sessions:patient" else Message.objects.get(purpose="booking").public_id
    page = sign_in(cleo).get(reverse(name, args=[about])).content.decode()

    assert reverse("inbox:links", args=[teodor.public_id]) in page


def test_every_kind_of_mail_has_a_name() -> None:
    assert set(KIND_LABELS) == set(KINDS) | set(CATEGORY)
