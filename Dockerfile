# The encoder job alone, for where the protected objects are. Build it in the repository:
#     docker build --tag encoder-job .
#     docker run --init --rm --env EMBEDDING_STORE_CONTENT_KEY --env EMBEDDING_STORE_LANDING=/landing \
#         --volume "$PWD/objects:/objects:ro" --volume "$PWD/landing:/landing" \
#         encoder-job run --source /objects/manifest.parquet
# pip takes torch with CUDA, gigabytes of it, unless it is told of torch's index for CPUs:
#     docker build --build-arg PIP_EXTRA_INDEX_URL=... --tag encoder-job .
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
# requirements-beam.lock for an image of Beam's workers, see docs/encoders.md
ARG LOCK=requirements-job.lock
RUN useradd --create-home job
WORKDIR /project
COPY ${LOCK} ./
RUN pip install --no-cache-dir --requirement ${LOCK}
COPY pyproject.toml README.md ./
COPY seeds/encoders.csv seeds/encoders.csv
COPY dbt_bigframes_here dbt_bigframes_here
COPY encoder_job encoder_job
RUN pip install --no-cache-dir --no-deps --editable .

USER job
# --init passes SIGTERM on: the job then lands what it has begun
ENTRYPOINT ["encoder-job"]
