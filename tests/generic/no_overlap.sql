{# Rows of a history, [valid_from, valid_to), that are in force at the same moment as the next row of their key. #}
{% test no_overlap(model, column_name, key) %}

with following as (
    select
        {{ key }},
        valid_from,
        valid_to,
        lead(valid_from) over (
            partition by {{ key }}
            order by valid_from, coalesce(valid_to, cast('9999-12-31' as timestamp))
        ) as next_valid_from
    from {{ model }}
)

select {{ column_name }}
from following
where next_valid_from is not null and (valid_to is null or valid_to > next_valid_from)

{% endtest %}
