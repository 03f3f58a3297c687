"""The words everybody uses: errors, values and frame schemas; imports nothing of the house and does nothing."""
