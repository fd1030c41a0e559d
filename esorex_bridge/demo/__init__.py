"""The embedded archive on loopback, with synthetic nights: what the demo and the tests run on."""
