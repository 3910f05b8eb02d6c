{# A query that gives the 95% interval of what was drawn: of the ordered values those that leave a fortieth on either side. One row per
   `keys` of which enough draws have a value; where many have none, the others are no fair picture.
   relation: name of a relation or CTE with the keys, replicate, and value. #}
{% macro draw_intervals(relation, keys) -%}
    {%- set columns = keys | join(', ') -%}
    with ordered as (
        select
            *,
            row_number() over (
                partition by {{ columns }}
                order by value, replicate
            ) as place,
            count(*) over (partition by {{ columns }}) as draw_count
        from {{ relation }}
        where value is not null
    )

    select
        {{ columns }},
        max(case when place = floor(draw_count / 40) + 1 then value end) as value_lower,
        max(case when place = draw_count - floor(draw_count / 40) then value end) as value_upper
    from ordered
    where draw_count >= {{ least_draws() }}
    group by {{ columns }}, draw_count
{%- endmacro %}
