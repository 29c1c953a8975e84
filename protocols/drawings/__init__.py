"""Drawings of a treatment as numbers for their templates: the same drawing serves the screen and the PDF.

``for_print=True`` puts the print style into the drawing (a PDF renderer hands no page style down into an svg) and needs
its size: ``width="96mm"``; the height follows. Words are data; the templates draw what they get.
"""

from protocols.drawings.axis import axis_x, course_axis
from protocols.drawings.dosebar import dosebar
from protocols.drawings.scalp_map import scalp_map
from protocols.drawings.stages import stage, stages
from protocols.drawings.syringe import band_of, syringe, syringe_compact

__all__ = [
    "axis_x",
    "band_of",
    "course_axis",
    "dosebar",
    "scalp_map",
    "stage",
    "stages",
    "syringe",
    "syringe_compact",
]
