"""The ESO archive services: query, associate, download."""
