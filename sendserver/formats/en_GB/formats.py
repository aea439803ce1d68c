"""How Django's own pages write a moment: 24 hours and the zone, as everywhere else in the portal."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i e"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
