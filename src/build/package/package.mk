# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install    install into PREFIX (/usr/local), below DESTDIR: program, manual, examples, shell completions, README and COPYING,
#                 and the gate's empty folder; nothing in /etc
# make uninstall  remove the files of make install, and the folders of postern and of the shells' completions if they are empty
# make dist       pack build/dist/postern-VERSION.tar.gz from the last commit or, without git, from the files here
# make deb        build build/postern_VERSION_ARCHITECTURE.deb, for /usr; its installation starts nothing
#
# The results are reproducible: the same sources give the same bytes on every machine. Files in them have the time of the
# last commit, or of SOURCE_DATE_EPOCH.
#
#   MAINTAINER='Name <address>'    the maintainer of the Debian package

SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/postern
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
# fish reads /usr/local only if XDG_DATA_DIRS names it, and on servers it does not. So completions for /usr/local go to the
# administrator's folder in /etc, which fish always reads.
FISHDIR ?= $(if $(filter /usr/local,$(PREFIX)),/etc/fish/completions,$(PREFIX)/share/fish/vendor_completions.d)
MAINTAINER ?= postern maintainers <postern@example.org>

# The files of examples/: programs apart, since they are installed with another mode.
EXAMPLES = $(shell find examples -name __pycache__ -prune -o ! -type d ! -perm -u+x -print 2>/dev/null | LC_ALL=C sort)
EXAMPLE_PROGRAMS = $(shell find examples -name __pycache__ -prune -o ! -type d -perm -u+x -print 2>/dev/null | LC_ALL=C sort)

# MODE:FILE:TARGET
INSTALLED = 755:$(BUILD)/postern:$(SBINDIR)/postern \
	$(foreach page,$(wildcard man/*.[1-9]),644:$(page):$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
	$(foreach file,README COPYING $(EXAMPLES),644:$(file):$(DOCDIR)/$(file)) \
	$(foreach file,$(EXAMPLE_PROGRAMS),755:$(file):$(DOCDIR)/$(file)) \
	644:src/build/completion/postern.bash:$(BASHDIR)/postern \
	644:src/build/completion/_postern:$(ZSHDIR)/_postern \
	644:src/build/completion/postern.fish:$(FISHDIR)/postern.fish

# Replaces the folders of PREFIX=/usr/local in manual, README and examples. Other folders in /usr/local are the
# administrator's, and their names stay.
RENAME = s,/usr/local/sbin/postern,$(SBINDIR)/postern,g; s,/usr/local/lib/postern/empty,$(EMPTYDIR),g; \
	s,/usr/local/share/doc/postern,$(DOCDIR),g

# The gate of a test build obeys whoever tells it to break out.
installable:
	$(if $(findstring -DPOSTERN_TEST,$(FLAGS)),$(error a build with TEST_HOOK is for tests alone and is never installed: \
		run make install without it))

# Installs a file and its folders so that all users can read them, with any umask.
define INSTALL
install -D -m $(word 1,$(1)) $(word 2,$(1)) '$(DESTDIR)$(word 3,$(1))'

endef
install: installable all
	$(foreach one,$(INSTALLED),$(call INSTALL,$(subst :, ,$(one))))
	install -d -m 755 '$(DESTDIR)$(EMPTYDIR)'
	$(Q)sed -i '$(RENAME)' $(foreach one,$(INSTALLED),$(if $(filter man/% README examples/%,$(word 2,$(subst :, ,$(one)))), \
		'$(DESTDIR)$(word 3,$(subst :, ,$(one)))'))

# Folders that are removed if they are empty. Those that may be older than postern stay: /usr/local/sbin, a given EMPTYDIR.
EMPTIED = $(addprefix $(DOCDIR)/,$(shell find examples -type d 2>/dev/null | LC_ALL=C sort -r)) $(DOCDIR) \
	$(foreach folder,$(BASHDIR) $(ZSHDIR) $(filter $(PREFIX)/%,$(FISHDIR)) $(filter %/lib/postern/empty,$(EMPTYDIR)), \
	$(folder) $(patsubst %/,%,$(dir $(folder))))
define REMOVE
rm -f '$(DESTDIR)$(word 3,$(1))'

endef
uninstall:
	$(foreach one,$(INSTALLED),$(call REMOVE,$(subst :, ,$(one))))
	@for folder in $(EMPTIED); do \
		rmdir "$(DESTDIR)$$folder" 2>/dev/null && echo "rmdir $(DESTDIR)$$folder" || :; \
	done

dist deb: export SOURCE_DATE_EPOCH ?= $(shell if [ -e .git ]; then git log -1 --format=%ct; else stat -c %Y README; fi)

dist:
	@src/build/package/dist postern-$(VERSION) '$(BUILD)/dist'

# Builds objects of its own, which name another empty folder. The linker strips the program, so that no path of this
# machine is in it.
deb:
	@tests/packages build deb
	@rm -rf '$(BUILD)/deb/root'
	@$(MAKE) --no-print-directory BUILD='$(BUILD)/deb' PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions \
		LDLIBS='$(LDLIBS) -s' DESTDIR='$(BUILD)/deb/root' install
	@src/build/package/deb '$(BUILD)/deb/root' $(VERSION) '$(MAINTAINER)' '$(BUILD)'

.PHONY: install installable uninstall dist deb
