{# Rows in which a moment comes after a later one, such as known before it happened. #}
{% test not_after(model, column_name, later_column) %}

select
    {{ column_name }},
    {{ later_column }}
from {{ model }}
where {{ column_name }} > {{ later_column }}

{% endtest %}
