"""What the pages of one thing show, each part to whom may see it; a module for each noun."""
