"""What the pages of notifications show, apart from how they look."""
