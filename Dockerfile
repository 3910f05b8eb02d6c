# The encoder job alone, for where the protected objects are. Build it in the repository:
#     docker build --tag encoder-job .
#     docker run --rm --env EMBEDDING_STORE_CONTENT_KEY --env EMBEDDING_STORE_LANDING \
#         --volume "$PWD/objects:/objects:ro" encoder-job run --source /objects/manifest.parquet
FROM python:3.11-slim

RUN useradd --create-home job
WORKDIR /project
COPY requirements.lock ./
RUN pip install --no-cache-dir --requirement requirements.lock
COPY pyproject.toml README.md ./
COPY seeds/encoders.csv seeds/encoders.csv
COPY dbt_bigframes_here dbt_bigframes_here
COPY encoder_job encoder_job
RUN pip install --no-cache-dir --no-deps --editable .

USER job
# SIGTERM reaches the job itself, which then lands what it has read
ENTRYPOINT ["encoder-job"]
