{# The row of a history that the store held just before a moment.
   Usage: left join labels on ... and {{ in_force('labels.valid_from', 'labels.valid_to', 'calendar.as_of') }} #}
{% macro in_force(valid_from, valid_to, moment) -%}
    {{ valid_from }} < {{ moment }} and ({{ valid_to }} is null or {{ valid_to }} >= {{ moment }})
{%- endmacro %}
