# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian roots to run the tests in: read by releases and lived-in. $roots is where they are made, $work a folder for
# notes, $top the checkout.
#
# All that runs in a root, and all that is mounted there, is in namespaces that end with the command. So a root can be
# removed at any time.

# Where debootstrap gets its packages: MIRROR, or where this machine has its own from.
mirror() {
    local own
    own=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1)
    echo "${MIRROR:-$own}"
}

# base RELEASE: see to it that there is a bare root that is not older than a week: what minbase has, git and make.
base() {
    local base=$roots/$1.base mirror
    [ -z "$(find "$base" -maxdepth 0 -mtime -7 2>/dev/null)" ] || return 0
    mirror=$(mirror)
    echo "making a bare $1${mirror:+ from $mirror}"
    remove "$base.new"
    debootstrap --variant=minbase --include=git,make "$1" "$base.new" ${mirror:+"$mirror"} >"$work/debootstrap" 2>&1 || return 1
    # It need not survive a power cut, and its lists may be weeks old.
    echo force-unsafe-io >"$base.new/etc/dpkg/dpkg.cfg.d/unsafe-io"
    [ "$1" != sid ] || echo 'Acquire::Check-Valid-Until "false";' >"$base.new/etc/apt/apt.conf.d/90old-lists"
    remove "$base"
    touch "$base.new" && mv "$base.new" "$base"
}

remove() {
    rm -rf --one-file-system "$1"
}

# clone FOLDER: the commit that is checked out. What is not committed is not tested.
clone() {
    git -c safe.directory='*' clone -q --no-hardlinks "$top" "$1"
}

# inside ROOT CACHE HOW COMMAND...: run there as root. CACHE keeps the packages that are fetched; HOW is a shell command
# that mounts what it likes below $root before. $namespaces: unshare's words for more of them.
inside() {
    unshare ${namespaces-} --mount --propagation=private --pid --fork --kill-child /bin/sh -c '
        set -e
        root=$1 cache=$2 how=$3
        shift 3
        eval "$how"
        mkdir -p "$cache/partial"
        mount -t proc none "$root/proc"
        mount --bind "$cache" "$root/var/cache/apt/archives"
        # A root that is a mount point becomes that of the namespace: in a chroot there can be no user namespaces.
        cd "$root"
        if pivot_root . . 2>/dev/null; then umount -l .; fi
        exec chroot . /usr/bin/env -i HOME=/root TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            /bin/sh -c '\''cd /root/postern && exec "$@"'\'' sh "$@"
    ' sh "$@" </dev/null
}
