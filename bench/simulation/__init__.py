"""The real scheduler and store on a virtual clock, against modelled providers; `make simulation` runs the whole of it."""
