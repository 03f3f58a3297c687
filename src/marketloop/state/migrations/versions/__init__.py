"""One script per version of the tables, as they were then: a script never changes after its release."""
