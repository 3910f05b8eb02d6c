{# The range that a whole number falls into, as text: '0 to 6', '7 to 29', …, '365 and more'; 'unknown' for null.
   Usage: {{ range_name('days', [7, 30, 365]) }} #}
{% macro range_name(number, bounds) -%}
    case
        when {{ number }} is null then 'unknown'
        {%- for bound in bounds %}
        when {{ number }} < {{ bound }} then '{{ 0 if loop.first else loop.previtem }} to {{ bound - 1 }}'
        {%- endfor %}
        else '{{ bounds | last }} and more'
    end
{%- endmacro %}
