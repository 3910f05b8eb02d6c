{# A condition that never holds, and stops the query with a message where the other one does: a data test that tells people
   which row of a registry is wrong and what to do. Only for rows that belong to nobody, since the message reaches the log.
   Usage: select * from classifiers where {{ fail_where("x is null", "concat('classifiers: ', classifier_id, ' ...')") }} #}
{% macro fail_where(condition, message) -%}
    case when {{ condition }} then cast(error({{ message }}) as boolean) else false end
{%- endmacro %}
