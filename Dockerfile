# One image with all the programs of Nautes. The operator is what it runs unless
# told otherwise; it needs git and ssh to read repositories.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY api/go.mod api/go.sum api/
RUN go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY config/crd/ config/crd/
COPY controllers/ controllers/
COPY internal/ internal/
RUN mkdir /out && CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o /out/ ./cmd/...

FROM debian:bookworm-slim
# ssh refuses to run for a uid that has no name, hence a user and not only a number.
# Fixes of git and ssh are wanted whenever the image is built, so no version is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin nautes
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/nautes-operator"]
