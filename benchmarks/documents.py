"""The plan's PDF: rendered by the product, beside bare WeasyPrint on the same HTML with fonts and style sheet kept."""

from __future__ import annotations

from benchmarks._measuring import beside, sample_clinic, spread, times


def main() -> None:
    with sample_clinic():
        from django.conf import settings
        from django.utils import timezone, translation

        from mesoclinic import template_engine
        from mesoclinic.documents import rendering
        from mesoclinic.documents.models import Document
        from protocols.documents import request_plan_pdf
        from protocols.models import Plan

        plan = Plan.objects.filter(status="active").order_by("pk").first()
        assert plan is not None
        assert plan.signed_by is not None
        document = Document.objects.get(pk=request_plan_pdf(plan=plan, by=plan.signed_by).pk)
        first = times(lambda: rendering.render(document), rounds=1, warm=0)[0]
        print(f"  first, fonts and styles read             {first * 1000:8.1f} ms")
        ours = times(lambda: rendering.render(document), rounds=15)
        zone = timezone.get_default_timezone()
        with translation.override(document.language), timezone.override(zone):
            html = template_engine.render(
                settings.DOCUMENT_KINDS[document.kind]["template"],
                {
                    **document.context,
                    "title": document.title,
                    "language": document.language,
                    "kind": document.kind,
                },
            )
        tools = rendering._tools()

        def bare() -> bytes:
            page = tools.weasyprint.HTML(string=html, base_url=rendering.BASE_URL, url_fetcher=tools.fetcher())
            laid_out = page.render(stylesheets=[tools.css], font_config=tools.fonts)
            return bytes(laid_out.write_pdf(pdf_variant="pdf/ua-1", pdf_tags=True, optimize_images=True))

        theirs = times(bare, rounds=15)
        print(f"  warm                                     {spread(ours)}")
        beside("plan PDF, mean", 1000 * sum(ours) / len(ours), "bare WeasyPrint", 1000 * sum(theirs) / 15, unit="ms")


if __name__ == "__main__":
    main()
