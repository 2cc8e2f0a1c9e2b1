"""The real scheduler and store on a virtual clock, against modelled providers; `make simulation` runs all of it."""
