"""The gate without models: scores that know nothing, or something, on simulated and on shuffled real returns."""
