from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mesoclinic.audit import trail
from mesoclinic.audit.models import AuditEvent


class Command(BaseCommand):
    help = "Proves that nobody changed the audit trail: recomputes the hash of every event, oldest first."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = trail.first_broken()
        if broken is not None:
            raise CommandError(
                f"The trail is broken at event {broken.pk} ({broken.public_id}): {broken.action} by "
                f"{broken.actor_label}, {broken.at.isoformat()}. It does not follow from the event before it.",
                returncode=1,
            )
        last = AuditEvent.objects.order_by("-id").first()
        count = AuditEvent.objects.count()
        end = f" The last hash is {last.hash}; keep it elsewhere to notice a cut end." if last else ""
        self.stdout.write(f"The trail is whole: {count} events.{end}")
