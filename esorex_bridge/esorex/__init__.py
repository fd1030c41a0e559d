"""EsoRex: installed recipes, running one, what it made and what went wrong."""
