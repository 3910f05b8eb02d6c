{# Vectors that are not of length 1, within `unit_norm_tolerance`, though the registry promises it for their encoder. #}
{% test embedding_unit_norm(model, column_name, registry) %}

select events.event_id
from {{ model }} as events
inner join {{ registry }} as encoders
    on
        events.encoder_id = encoders.encoder_id
        and events.encoder_fingerprint = encoders.encoder_fingerprint
where encoders.is_unit_norm and abs(events.{{ column_name }} - 1) > {{ var('unit_norm_tolerance') }}

{% endtest %}
