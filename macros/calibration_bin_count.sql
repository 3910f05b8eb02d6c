{# How many bins of equal width calibration has. #}
{% macro calibration_bin_count() %}
    {{ return(10) }}
{% endmacro %}
