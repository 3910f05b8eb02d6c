{# Embedding events whose (encoder_id, encoder_fingerprint) was never in the registry: vectors of an encoder that nobody approved,
   or of one that was changed under its name. Stops with a message that names the encoder. #}
{% test registered_encoder(model, registry) %}

with landed as (
    select
        encoder_id,
        encoder_fingerprint,
        count(*) as event_count
    from {{ model }}
    group by encoder_id, encoder_fingerprint
),

registered as (
    select
        encoder_id,
        encoder_fingerprint
    from {{ registry }}
)

select landed.encoder_id
from landed
left join registered
    on
        landed.encoder_id = registered.encoder_id
        and landed.encoder_fingerprint = registered.encoder_fingerprint
where {{ fail_where(
    "registered.encoder_id is null",
    "concat('embedding_events: ', cast(landed.event_count as string), ' landed with encoder_id ', coalesce(landed.encoder_id, 'null'),"
    ~ " ' and fingerprint ', coalesce(landed.encoder_fingerprint, 'null'), ', which seeds/encoders.csv never held.',"
    ~ " ' Take the files out of the landing folder, or register the encoder with encoder-job register.')"
) }}

{% endtest %}
