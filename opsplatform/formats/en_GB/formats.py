"""Times as operators compare them with logs: seconds, 24 hours, and the zone said."""

DATETIME_FORMAT = r"j M Y H:i:s \U\T\C"
TIME_FORMAT = r"H:i:s \U\T\C"
