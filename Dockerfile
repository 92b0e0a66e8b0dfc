# The exporter of a GPU node. docs/operations.md ("Container") has the line that runs it.
# amdsmi is the node's own, library and bindings, mounted at /opt/rocm: it was built for the node's system, and loads
# here only if this one's C library is as new. So: the newest Debian. Where it does not load the kernel's files do.
ARG BASE=debian:trixie-slim
# hadolint ignore=DL3006
FROM ${BASE} AS build
# Unpinned, here and below: security updates come with each build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# Both secrets are optional: where pip is to ask (`index-url`), and whom it trusts there (`cert = /run/secrets/ca.pem`).
# The environment is without pip. Of Babel's languages those of exporter/locale stay, and English.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/mi300x-exporter \
    && /opt/pip/bin/pip --python /opt/mi300x-exporter/bin/python install --no-cache-dir --disable-pip-version-check . \
    && find /opt/mi300x-exporter/lib/python3*/site-packages/babel/locale-data -name '*.dat' \
           ! -name root.dat ! -name 'en*.dat' ! -name 'zh*.dat' -delete

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="mi300x-exporter" \
      org.opencontainers.image.description="Prometheus exporter of AMD Instinct MI300X GPUs and their owners" \
      org.opencontainers.image.licenses="Apache-2.0"
# Python, and what libamd_smi.so needs beside itself.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 libdrm2 libdrm-amdgpu1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/* \
    && useradd --system --uid 64642 --no-create-home --shell /usr/sbin/nologin mi300x-exporter
COPY --from=build /opt/mi300x-exporter /opt/mi300x-exporter
ENV PATH=/opt/mi300x-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
USER 64642:64642
EXPOSE 9942
# Another config, another check: what the command below is given, this one needs, too.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s \
    CMD ["exporter", "health", "--config", "/etc/mi300x-exporter/config.yaml"]
ENTRYPOINT ["exporter"]
CMD ["serve", "--config", "/etc/mi300x-exporter/config.yaml"]
