# base: Debian's packages that run · build: the Python environment · native: what is in C ·
# code: ours · test: kiss-ha:test · rootfs: what is left of base without what nothing needs ·
# last: the image

FROM debian:trixie-slim AS base
# hadolint ignore=DL3008 # Debian's security updates replace versions; the suite is the pin
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates \
        iproute2 \
        keepalived \
        libnginx-mod-http-brotli-filter \
        libnginx-mod-http-brotli-static \
        libnginx-mod-http-geoip2 \
        libnginx-mod-http-headers-more-filter \
        libnginx-mod-http-js \
        libnginx-mod-http-ndk \
        libnginx-mod-http-set-misc \
        libnginx-mod-mail \
        libnginx-mod-stream \
        libnginx-mod-stream-geoip2 \
        libnginx-mod-stream-js \
        nginx \
        openssh-client \
        openssh-server \
        python3 \
        rsync \
        socat \
        tini \
        tzdata \
        util-linux \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    # Read where the user's folder lacks them: mime.types, fastcgi_params, snippets/ …
    && rm -rf /etc/nginx/nginx.conf /etc/nginx/*.d /etc/nginx/modules-* /etc/nginx/sites-* \
    && mkdir -p /opt/kiss-ha /usr/share/kiss-ha/nginx /var/lib/ha \
    && mv /etc/nginx/* /usr/share/kiss-ha/nginx \
    # `access_log` and `error_log` of usual configurations go where the container's log is, caches
    # where can be written.
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log \
    && rm -rf /var/cache/nginx && ln -s /tmp/nginx-cache /var/cache/nginx \
    # The users of other images' and distributions' nginx.conf.
    && for user in nginx http abc npm; do \
        useradd --system --no-create-home --shell /usr/sbin/nologin "$user" || exit; \
    done
# The project counts on rsync >= 3.5.0; in trixie only the security suite has it.
RUN version=$(dpkg-query --show --showformat='${Version}' rsync) \
    && if dpkg --compare-versions "$version" lt 3.5.0; then \
        echo "rsync $version is older than 3.5.0: the security suite is missing" >&2; exit 1; \
    fi


FROM base AS build
# hadolint ignore=DL3008 # as above
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils python3-venv \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/kiss-ha/venv \
    && echo /opt/kiss-ha >/opt/kiss-ha/venv/lib/python3.13/site-packages/kiss-ha.pth
COPY requirements.lock /tmp/
# The secret `ca` is a bundle that pip trusts instead of its own, as behind a company's proxy.
RUN --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \
    && /opt/pip/bin/pip --python /opt/kiss-ha/venv/bin/python install --no-cache-dir \
        --only-binary=:all: --require-hashes --requirement /tmp/requirements.lock \
    # What only a compiler or a debugger would read.
    && find /opt/kiss-ha/venv -type f \
        \( -name '*.c' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.pyx' \) -delete \
    && find /opt/kiss-ha/venv -name '*.so' -exec strip --strip-unneeded {} +


FROM debian:trixie-slim AS native
# hadolint ignore=DL3008 # as above
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY native /native
RUN gcc -O2 -Wall -Wextra -Werror -shared -fPIC -s -o /nginx_on_read_only.so /native/nginx_on_read_only.c


FROM base AS code
COPY --from=native /nginx_on_read_only.so /usr/lib/kiss-ha/
COPY sidecar /opt/kiss-ha/sidecar
COPY config /opt/kiss-ha/config
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/kiss-ha/sidecar \
    && install -D --mode=755 --target-directory=/usr/lib/kiss-ha /opt/kiss-ha/config/bin/* \
    && rm -r /opt/kiss-ha/config/bin \
    && printf '%s\n' '#!/bin/sh' 'exec /opt/kiss-ha/venv/bin/python -I -m sidecar "$@"' >/usr/local/bin/ha \
    && chmod 755 /usr/local/bin/ha \
    # keepalived would add this entry itself, and the disk is read-only.
    && mkdir /etc/iproute2 \
    && printf '18\tkeepalived\n' >/etc/iproute2/rt_addrprotos \
    # Also for who types `nginx -t` in the container.
    && mv /usr/lib/kiss-ha/nginx /usr/local/sbin/


FROM native AS clock
COPY tests/cluster/clock.c /
RUN gcc -O2 -Wall -Wextra -Werror -shared -fPIC -s -o /clock.so /clock.c


FROM build AS test
# In a layer of its own: a browser, and what it writes with, for the tests of the status page.
# hadolint ignore=DL3008 # as above
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium-headless-shell fonts-dejavu-mono fonts-inter \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
# hadolint ignore=DL3008 # as above
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        caddy \
        csync2 \
        curl \
        haproxy \
        lsyncd \
        make \
        nftables \
        procps \
        prometheus \
        prometheus-alertmanager \
        shellcheck \
        unison \
        wrk \
    # caddy and haproxy: what config/compose has beside us; csync2, lsyncd and unison: what `make
    # bench` measures.
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY requirements-dev.lock /tmp/
RUN --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv --without-pip /opt/kiss-ha/dev \
    && /opt/pip/bin/pip --python /opt/kiss-ha/dev/bin/python install --no-cache-dir \
        --only-binary=:all: --require-hashes --requirement /tmp/requirements-dev.lock
COPY --from=clock /clock.so /usr/local/lib/
COPY --from=code /etc/iproute2 /etc/iproute2
COPY --from=code /usr/lib/kiss-ha /usr/lib/kiss-ha
COPY --from=code /usr/local/bin/ha /usr/local/bin/ha
COPY --from=code /usr/local/sbin/nginx /usr/local/sbin/nginx
COPY --from=code /opt/kiss-ha/config /opt/kiss-ha/config
COPY --from=code /opt/kiss-ha/sidecar /opt/kiss-ha/sidecar
ENV PATH=/opt/kiss-ha/dev/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
WORKDIR /src
ENTRYPOINT ["tini", "-g", "--"]
CMD ["sleep", "infinity"]


FROM base AS rootfs
# Purged packages also leave dpkg's list, so that scanners see what is really there.
# debconf and perl-base go last: the others' scripts use them. libperl stays, because
# keepalived's SNMP library is linked to it; its modules go.
RUN dpkg --purge --force-depends --force-remove-essential --force-remove-protected \
        adduser apt debian-archive-keyring libapt-pkg7.0 libtext-charwidth-perl passwd \
        libtext-wrapi18n-perl login mount ncurses-bin openssh-sftp-server \
        perl-modules-5.40 runit-helper sensible-utils sqv systemd systemd-sysv \
        libsystemd-shared ucf \
    && dpkg --purge --force-depends --force-remove-essential --force-remove-protected \
        init-system-helpers debconf perl-base \
    && rm -rf /usr/lib/*/gconv /usr/lib/*/perl /usr/share/perl /usr/share/perl5 \
        /usr/lib/python3.13/test /usr/lib/python3.13/pydoc_data /usr/lib/python3.13/_pyrepl \
        /usr/share/bash-completion /usr/share/bug /usr/share/info /usr/share/lintian \
        /usr/share/locale /usr/share/man /usr/share/misc/pci.ids /usr/share/snmp /usr/share/vim \
        /usr/share/zsh /var/cache/[!n]* /var/lib/dpkg/info /var/lib/dpkg/status-old /var/lib/systemd \
        /var/log/apt /var/log/dpkg.log /run/* /tmp/* \
    && find /usr/share/doc -type f ! -name copyright -delete \
    && find /usr/share/doc -type d -empty -delete


FROM scratch
ARG VERSION=0.1.0
ARG SOURCE=
LABEL org.opencontainers.image.title="kiss-ha" \
    org.opencontainers.image.description="nginx on a virtual IP that survives the loss of a host" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.source="${SOURCE}"
# hadolint ignore=DL3067 # that is the point: one layer without what was removed
COPY --from=rootfs / /
COPY --from=build /opt/kiss-ha/venv /opt/kiss-ha/venv
COPY --from=code /etc/iproute2 /etc/iproute2
COPY --from=code /usr/lib/kiss-ha /usr/lib/kiss-ha
COPY --from=code /usr/local/bin/ha /usr/local/bin/ha
COPY --from=code /usr/local/sbin/nginx /usr/local/sbin/nginx
COPY --from=code /opt/kiss-ha/config /opt/kiss-ha/config
COPY --from=code /opt/kiss-ha/sidecar /opt/kiss-ha/sidecar
# One arena of malloc(3) for all threads takes a megabyte less.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    MALLOC_ARENA_MAX=1
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=2 CMD ["ha", "health"]
ENTRYPOINT ["tini", "-g", "--", "/usr/lib/kiss-ha/entrypoint"]
CMD ["run"]
