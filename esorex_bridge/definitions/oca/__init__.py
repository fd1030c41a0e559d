"""OCA, ESO's language of rules that classify, group and associate files, as values that can be printed back."""
