# The exporter of a GPU node. docs/operations.md ("Container") has the line that runs it.
# amdsmi is the node's own, library and bindings, mounted at /opt/rocm: it was built for the node's system, and loads
# here only if this one's C library is as new. So: the newest Debian. Where it does not load the kernel's files do.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
RUN python -m venv /opt/mi300x-exporter \
    && /opt/mi300x-exporter/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="mi300x-exporter" \
      org.opencontainers.image.description="Prometheus exporter of AMD Instinct MI300X GPUs and their owners" \
      org.opencontainers.image.licenses="Apache-2.0"
# What libamd_smi.so needs beside itself. Unpinned: security updates come with each build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libdrm2 libdrm-amdgpu1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 64642 --no-create-home --shell /usr/sbin/nologin mi300x-exporter
COPY --from=build /opt/mi300x-exporter /opt/mi300x-exporter
ENV PATH=/opt/mi300x-exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
USER 64642:64642
EXPOSE 9942
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9942/-/healthy', timeout=4)"]
ENTRYPOINT ["exporter"]
CMD ["serve", "--config", "/etc/mi300x-exporter/config.yaml"]
