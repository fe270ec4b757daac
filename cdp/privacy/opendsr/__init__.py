"""OpenDSR (formerly OpenGDPR): requests that a data controller sends to us, the processor, about its people.

The specification: github.com/opengdpr/OpenDSR. docs/opendsr.md says what of it there is.
"""
