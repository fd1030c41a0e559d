"""What is known of instruments: workflow definitions, recipe parameters, OCA rules, and checks of them."""
