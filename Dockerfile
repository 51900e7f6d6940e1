# faceloom with the weights of its default flow, for a user without privileges.
#
#   docker build --tag faceloom .
#   docker run --rm --memory 1g --user "$(id -u):$(id -g)" --volume "$PWD:/work" faceloom extract holiday --out faces
#
# The version of Python is one that docs/versions.md lists; what is done is scripts/image, which tests run without Docker.

FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN scripts/image /opt/faceloom

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home faceloom
COPY --from=build /opt/faceloom /opt/faceloom
ENV PATH=/opt/faceloom/bin:$PATH FACELOOM_CACHE=/opt/faceloom/cache
USER faceloom
WORKDIR /work
ENTRYPOINT ["faceloom"]
CMD ["--help"]
