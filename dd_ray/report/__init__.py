"""A sweep as one page to look through: its numbers, its pictures, and the HTML around them."""

from dd_ray.report.content import collect
from dd_ray.report.page import render
from dd_ray.report.pictures import Pictures

__all__ = ["Pictures", "collect", "render"]
