"""A hand that is drawn, well enough for a model to see one: the palm to the front, the fingers up, the thumb left."""

from __future__ import annotations

from typing import Any

_SKIN, _EDGE, _BEHIND = (224, 172, 140), (184, 141, 115), (230, 230, 230)
_LIMBS = (  # from where to where, how broad there and there
    ((200, 400), (200, 300), 86, 92),
    ((170, 300), (165, 220), 70, 70),
    ((200, 300), (200, 215), 70, 70),
    ((235, 305), (235, 225), 66, 66),
    ((160, 225), (135, 105), 38, 28),
    ((190, 215), (185, 75), 40, 30),
    ((222, 218), (235, 90), 38, 28),
    ((250, 235), (285, 130), 32, 24),
    ((160, 310), (95, 235), 48, 32),
)
_LINES = ((165, 300, 190, 240), (205, 250, 245, 262), (150, 280, 200, 330))
_STEPS = 60


def drawn_hand() -> Any:
    """Return an image of 800 by 800; the wrist leaves it at the bottom, in the middle."""
    from PIL import Image, ImageDraw, ImageFilter

    image = Image.new("RGB", (400, 400), _BEHIND)
    draw = ImageDraw.Draw(image)
    for grown, color in ((6, _EDGE), (0, _SKIN)):
        for (x, y), (to_x, to_y), broad, narrow in _LIMBS:
            for step in range(_STEPS + 1):
                part = step / _STEPS
                at_x, at_y = x + (to_x - x) * part, y + (to_y - y) * part
                half = (broad + (narrow - broad) * part + grown) / 2
                draw.ellipse([at_x - half, at_y - half, at_x + half, at_y + half], fill=color)
    for line in _LINES:
        draw.line(line, fill=_EDGE, width=3)
    for (x, y), (to_x, to_y), _, _ in _LIMBS[4:]:
        for part in (0.4, 0.7):
            at_x, at_y = x + (to_x - x) * part, y + (to_y - y) * part
            draw.line((at_x - 9, at_y, at_x + 9, at_y), fill=_EDGE, width=2)
    whole = Image.new("RGB", (800, 800), _BEHIND)
    whole.paste(image.filter(ImageFilter.GaussianBlur(1.5)), (200, 400))
    return whole
