{# A query that adds to rows of an example and a class what the probability is worth: `squared_error`, and for the class that is the label
   `log_loss`, clipped by scikit-learn's epsilon, the distance from 1 to the next double.
   relation: name of a relation or CTE with probability, is_label. #}
{% macro class_errors(relation) -%}
    {%- set epsilon = '2.220446049250313e-16' -%}
    select
        *,
        power(probability - case when is_label then 1 else 0 end, 2) as squared_error,
        case when is_label then -ln(greatest({{ epsilon }}, least(1 - {{ epsilon }}, probability))) end as log_loss
    from {{ relation }}
{%- endmacro %}
