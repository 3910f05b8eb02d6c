{# Vectors whose length is not what the registry promises for their encoder. Reads the measured column, not the vectors. #}
{% test embedding_dimension(model, column_name, registry) %}

select events.event_id
from {{ model }} as events
inner join {{ registry }} as encoders
    on
        events.encoder_id = encoders.encoder_id
        and events.encoder_fingerprint = encoders.encoder_fingerprint
where events.{{ column_name }} is null or events.{{ column_name }} <> encoders.embedding_dim

{% endtest %}
