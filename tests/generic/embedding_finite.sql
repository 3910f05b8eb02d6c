{# Vectors with an element that is NaN or infinite. Their norm is not finite then, so the vectors need not be read. #}
{% test embedding_finite(model, column_name) %}

select event_id
from {{ model }}
where {{ column_name }} is null or not {{ is_finite(column_name) }}

{% endtest %}
