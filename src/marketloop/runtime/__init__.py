"""What a running house needs: settings, clock, logging, files, the parallel map and the thread budget."""
