"""The API and the dashboard: reads the state, asks by writing a request, computes nothing."""
