# The work is done by cargo and the scripts in scripts/.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
export PREFIX LIBDIR DESTDIR

help:                    ## says what there is
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1 \2/p' Makefile | awk '{ printf "%-16s", $$1 " " $$2; $$1 = $$2 = ""; print }'

demo:                    ## streams an answer to the terminal; PROMPT="...", APERTIS_API_KEY=sk-...
	@scripts/demo.sh

test:                    ## runs the whole suite
	@scripts/test.sh

header:                  ## writes include/apertis.h from src/ffi
	@scripts/header.sh

release:                 ## builds what install installs
	@scripts/release.sh

install:                 ## builds and installs; PREFIX, LIBDIR, DESTDIR
	@scripts/install.sh install

uninstall:               ## takes away what install put there
	@scripts/install.sh uninstall

# The question exactly as it was given, dollar signs included.
override PROMPT := $(value PROMPT)
export PROMPT

.PHONY: help demo test header release install uninstall
