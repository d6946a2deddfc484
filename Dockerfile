# curfew in a small Debian. Agent CLIs are not in it: build your own image on this one (docs/agents.md shows how).
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t curfew .
#
# No BuildKit features, so that older engines and Compose 1.29 build it too: the module layer is what keeps builds quick.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/curfew ./cmd/curfew

FROM debian:bookworm-slim
# ca-certificates: TLS to NATS, Redis and the agents' services. curl: health checks, /metrics from inside.
RUN apt-get update \
 && apt-get install -qy --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/*
# A fixed uid, so that a volume for the agents' HOME keeps its owner from one image to the next.
# /run/curfew holds host-local locks: never put it on a volume that workers share.
RUN useradd --uid 10001 --user-group --create-home --shell /bin/bash curfew \
 && install -d -o curfew -g curfew -m 0700 /run/curfew
COPY --from=build /out/curfew /usr/local/bin/curfew
USER curfew
WORKDIR /home/curfew
ENV HOME=/home/curfew LANG=C.UTF-8 CURFEW_WORKER_RUN_DIR=/run/curfew
ENTRYPOINT ["curfew"]
CMD ["worker"]
