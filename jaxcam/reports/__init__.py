"""One HTML file that shows what a run, or several, found."""
