# EsoRex, eight pipelines and the bridge from Debian's packages: docker build -t esorex-bridge .
FROM debian:bookworm-slim
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv esorex \
       cpl-plugin-naco cpl-plugin-hawki cpl-plugin-visir cpl-plugin-uves cpl-plugin-vimos cpl-plugin-giraf \
       cpl-plugin-muse cpl-plugin-amber \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN sh /src/tools/swarp.sh && python3 -m venv /opt/esorex-bridge && /opt/esorex-bridge/bin/pip install --no-cache-dir /src \
    && rm -rf /src
ENV PATH=/opt/esorex-bridge/bin:$PATH
WORKDIR /data
ENTRYPOINT ["esorex-bridge"]
CMD ["--help"]
