{# The combinations of these columns that occur more than once: the key of a model without a key
   column. Null counts as a value. #}
{% test unique_combination(model, columns) %}

with repeated as (
    select
        {{ columns | join(',\n        ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
)

select * from repeated

{% endtest %}
