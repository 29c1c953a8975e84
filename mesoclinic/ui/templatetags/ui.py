"""Template tags of the product's components."""

from django import template

register = template.Library()
