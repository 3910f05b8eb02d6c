{# A row of a registry names a row of another one that does not exist. Stops with a message that names both rows;
   `row_name` is the column that people call the row by. #}
{% test registered(model, column_name, registry, key, row_name) %}

with named as (
    select distinct
        {{ row_name }} as row_name,
        {{ column_name }} as name
    from {{ model }}
),

registered as (
    select distinct {{ key }} as name
    from {{ registry }}
)

select named.row_name
from named
left join registered
    on named.name = registered.name
where {{ fail_where(
    "named.name is not null and registered.name is null",
    "concat('" ~ model.identifier ~ ".csv: " ~ column_name ~ " of ', named.row_name, ' names ', named.name, ', which "
    ~ registry.identifier ~ ".csv does not hold. Add it there or correct it here.')"
) }}

{% endtest %}
