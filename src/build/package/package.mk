# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install    into PREFIX (/usr/local), below DESTDIR: program, manual, examples, shell completions, README and COPYING,
#                 and the gate's empty folder; nothing in /etc
# make uninstall  removes what install puts there, and the folders that are postern's or the shells' if they are empty
# make dist       build/dist/postern-VERSION.tar.gz, of what is committed or, without git, of what is here
# make deb        build/postern_VERSION_ARCHITECTURE.deb, for /usr; starts nothing when it is installed
#
# The same sources make the same bytes, whoever makes them, where and when. Files in them are as old as the last commit,
# or as SOURCE_DATE_EPOCH says.
#
#   MAINTAINER='Name <address>'    whom the Debian package names

SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/postern
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
# fish looks below /usr/local only if XDG_DATA_DIRS says so, which a server's does not: there it is the administrator's
# folder that fish knows by itself.
FISHDIR ?= $(if $(filter /usr/local,$(PREFIX)),/etc/fish/completions,$(PREFIX)/share/fish/vendor_completions.d)
MAINTAINER ?= postern maintainers <postern@example.org>

# As git has them: programs and other files.
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

# Manual, README and examples name the folders of PREFIX=/usr/local. What an administrator puts there stays there.
RENAME = s,/usr/local/sbin/postern,$(SBINDIR)/postern,g; s,/usr/local/lib/postern/empty,$(EMPTYDIR),g; \
	s,/usr/local/share/doc/postern,$(DOCDIR),g

# The gate of a test build obeys whoever tells it to break out.
installable:
	$(if $(findstring -DPOSTERN_TEST,$(FLAGS)),$(error a build with TEST_HOOK is for tests alone and is never installed: \
		run make install without it))

# Whatever the umask is, others can read it, and the folders on the way to it.
define INSTALL
install -D -m $(word 1,$(1)) $(word 2,$(1)) '$(DESTDIR)$(word 3,$(1))'

endef
install: installable all
	$(foreach one,$(INSTALLED),$(call INSTALL,$(subst :, ,$(one))))
	install -d -m 755 '$(DESTDIR)$(EMPTYDIR)'
	$(Q)sed -i '$(RENAME)' $(foreach one,$(INSTALLED),$(if $(filter man/% README examples/%,$(word 2,$(subst :, ,$(one)))), \
		'$(DESTDIR)$(word 3,$(subst :, ,$(one)))'))

# Folders that may have been there before, such as /usr/local/sbin or one named by EMPTYDIR, stay, empty or not.
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

# Of its own objects: they know of another empty folder. Stripped by the linker, so that no path of this machine is in it.
deb:
	@tests/packages build deb
	@rm -rf '$(BUILD)/deb/root'
	@$(MAKE) --no-print-directory BUILD='$(BUILD)/deb' PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions \
		LDLIBS='$(LDLIBS) -s' DESTDIR='$(BUILD)/deb/root' install
	@src/build/package/deb '$(BUILD)/deb/root' $(VERSION) '$(MAINTAINER)' '$(BUILD)'

.PHONY: install installable uninstall dist deb
